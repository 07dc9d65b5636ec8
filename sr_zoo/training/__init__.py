"""Training and fine-tuning: a recipe is data, a run continues bit for bit where it stopped."""

from sr_zoo.training.recipe import Recipe as Recipe
from sr_zoo.training.recipe import read_recipe as read_recipe
