# SPDX-License-Identifier: LGPL-2.1-or-later
# Toolchain file: Debian's cross compiler with its multiarch libraries, and qemu to run what is built.
#   dpkg --add-architecture arm64; apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
#   apt-get install liburcu-dev:arm64 libjson-c-dev:arm64 libsmartcols-dev:arm64 libsodium-dev:arm64 libyaml-dev:arm64 libncurses-dev:arm64 libcmocka-dev:arm64
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

# Its libraries are those in /usr/lib/aarch64-linux-gnu, not the build machine's.
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig)
set(ENV{PKG_CONFIG_PATH} "")

set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64)
