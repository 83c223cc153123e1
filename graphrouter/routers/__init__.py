"""Routers: the graph router and the reference predictors, behind one protocol."""
