# SPDX-License-Identifier: LGPL-2.1-or-later
# gnuplot -c peers.gnuplot DATA SVG ROWS TITLE SUBTITLE MAX
# DATA has three blocks: one process, two on different tenants, two on one tenant. Their lines: row, ns, text, name of
# the row. Rows count from the top.
data = ARG1
rows = ARG3 + 0

set terminal svg size 900, 80 + 62 * rows font "sans-serif,14" background rgb "white"
set output ARG2
set label 1 ARG4 at screen 0.02, screen 0.962 left noenhanced font ",16"
set label 2 ARG5 at screen 0.02, screen 0.915 left noenhanced font ",11" tc rgb "#606060"
set logscale x
set xrange [1:ARG6]
set yrange [rows - 0.45:-0.55]
set xlabel "nanoseconds a message takes the process that sends it (logarithmic)"
set format x "%.0s%c"
set grid xtics lc rgb "#d8d8d8" lw 1
set tics nomirror scale 0.5
set ytics scale 0 noenhanced
set border 3 lc rgb "#606060"
set key inside top right vertical Left reverse samplen 1.5 noenhanced
set style fill solid 1.0 noborder
set rmargin 3
set tmargin 4
set bmargin 4

half = 0.12
y(row, block) = row + (block - 1) * 0.27
colours = "#1f5fa8 #6aa9dc #e08a3c"
titles = "'one process' 'two, different tenants' 'two, one tenant'"

plot data index 1 using (NaN):(y($1, 1)):ytic(4) notitle, \
     for [b = 0:2] data index b using (1):(y($1, b)):(1):2:(y($1, b) - half):(y($1, b) + half) \
         with boxxyerror lc rgb word(colours, b + 1) notitle, \
     for [b = 0:2] NaN with boxes lc rgb word(colours, b + 1) title word(titles, b + 1), \
     for [b = 0:2] data index b using ($2 * 1.07):(y($1, b)):3 with labels left font ",11" notitle
