"""What a folder of data is understood as, before anything is made of it."""
