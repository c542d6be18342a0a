"""Turns usage records into charges, once, and keeps the charges right when records change."""
