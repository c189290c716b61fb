"""Intermediate representation: messages, files, upgrades, rules."""
