"""Statements that hold for every message, drawn by hypothesis."""
