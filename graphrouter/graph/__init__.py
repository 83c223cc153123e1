"""The heterogeneous graph: features, the one builder, the leakage check and the networkx view."""
