"""Episodic training with Lightning."""
