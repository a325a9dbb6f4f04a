"""Stores: the pictures of one data set in one style and size, kept by content and mapped from disk."""
