"""Routers: the graph router and the baseline predictors, behind one protocol."""
