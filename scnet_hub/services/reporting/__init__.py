"""Answers questions about sessions, money and health. Changes nothing."""
