"""The graph router: fit it, ask it, change its pool, save it."""
