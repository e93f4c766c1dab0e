"""Is active learning worth it: what a person sees of it, worked out in the background."""
