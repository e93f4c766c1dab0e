"""ML backends that people connect by URL, as upstream allows: bulk runs, training and webhooks in the background."""
