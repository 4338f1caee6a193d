"""Engines: each turns a node's address into something that computes blocks. Python now; wasm has a scheme reserved."""
