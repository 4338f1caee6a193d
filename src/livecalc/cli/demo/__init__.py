"""The whole life of a bucket as a story in numbered steps, on the real platform; `livecalc demo` tells it."""
