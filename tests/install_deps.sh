#!/bin/sh
# Installs GoogleTest through the system's package manager, only if the compiler does not find it.
# usage: install_deps.sh [CXX]
set -eu
cxx=${1:-c++}

have_gtest() {
  probe=$(mktemp -d) || exit 1
  printf '#include <gtest/gtest.h>\nTEST(A, B) {}\n' >"$probe/probe.cc"
  if "$cxx" -std=c++17 -pthread -o "$probe/probe" "$probe/probe.cc" -lgtest -lgtest_main >/dev/null 2>&1; then
    found=0
  else
    found=1
  fi
  rm -rf "$probe"
  return $found
}

if have_gtest; then
  echo "GoogleTest is there."
  exit 0
fi

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null 2>&1; then
    sudo "$@"
  else
    echo "GoogleTest is missing and installing it needs root: run as root: $*" >&2
    exit 1
  fi
}

if command -v apt-get >/dev/null 2>&1; then
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libgtest-dev
elif command -v dnf >/dev/null 2>&1; then
  as_root dnf install -y gtest-devel
elif command -v pacman >/dev/null 2>&1; then
  as_root pacman -S --noconfirm --needed gtest
elif command -v brew >/dev/null 2>&1; then
  brew install googletest
else
  echo "No apt-get, dnf, pacman or brew here: install GoogleTest by hand, then run make test." >&2
  exit 1
fi

if ! have_gtest; then
  echo "GoogleTest was installed but $cxx cannot build a test with it: is it in another prefix? Set EXTRA and EXTRA_LINK." >&2
  exit 1
fi
