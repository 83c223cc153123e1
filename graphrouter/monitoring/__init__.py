"""What to watch while a router serves: models that change behind their names, and choices that flip
under noise.
"""
