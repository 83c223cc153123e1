"""The forms of requests that the gateway reads, one module each."""
