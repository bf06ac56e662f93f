"""Admission by programs outside: webhooks are found, asked and obeyed here."""
