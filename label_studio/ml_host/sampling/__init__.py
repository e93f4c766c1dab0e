"""Active learning: which task is labeled next."""
