"""Features: rows to numbers, the same for training and serving, by transforms fitted on training
rows.
"""
