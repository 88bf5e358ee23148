// In place of the theme's file: 1.5 MB that draw the icons which its style sheet has as a font.
