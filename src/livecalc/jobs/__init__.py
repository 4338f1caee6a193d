"""Jobs for people: submit, watch, collect, read the result, cancel."""
