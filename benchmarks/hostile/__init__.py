"""Requests that are made to cost much, each tried alone, then ten at a time beside password resets."""
