"""The graph neural network, as a composition of parts that can be swapped one at a time."""
