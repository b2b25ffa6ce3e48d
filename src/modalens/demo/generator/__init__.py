"""The small image generator that comes with the demo: it draws emoji from the demo encoder's embeddings."""
