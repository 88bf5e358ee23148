"""The whole nucleus in three dimensions: segmented through a stack, and measured."""
