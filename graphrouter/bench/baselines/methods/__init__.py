"""One file for each family of published routers."""
