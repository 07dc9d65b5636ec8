"""ECBSR on RGB, deployed, as in ECNUSR/ETDS."""

from sr_zoo.weights.convert.rules import Converter

CONVERTER = Converter(rules=(("backbone", "body"),))
