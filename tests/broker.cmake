# SPDX-License-Identifier: LGPL-2.1-or-later
# Tests of k2k-broker; included by CMakeLists.txt beside it.
