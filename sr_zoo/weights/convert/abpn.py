"""ABPN as in ECNUSR/ETDS, as designed and transformed."""

from sr_zoo.weights.convert.rules import Converter

CONVERTER = Converter(rules=(("backbone", "body"),))
