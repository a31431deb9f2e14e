"""What a restart must find again: tables, and packages as files. Imports nothing above it.

tables       the schema on one page: which event makes which change
batch        the changes of one turn, gathered in memory
database     opens, migrates, commits batches, reads
statements   what a batch is written by
schema       migrations
sqlite, postgres, backend    what each database does in its own way
packages     package bytes as files named by their SHA-256
archive      what vendors pack: a package and its description
"""
