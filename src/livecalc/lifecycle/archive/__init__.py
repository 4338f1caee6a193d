"""Making the archive of a namespace, and proving it: what is kept, where it lies, what is said of it."""
