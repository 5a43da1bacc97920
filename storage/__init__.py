"""The record of truth, and the engines that search it."""
