"""Measure `review`: how well doubt finds flipped labels, how many wrong ones it expects, how soon the page is there."""
