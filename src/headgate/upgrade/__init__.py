"""Upgrades: tasks, cells and campaigns. Decides; does nothing itself."""
