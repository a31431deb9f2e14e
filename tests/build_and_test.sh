#!/bin/sh
# Compiles as HEADGATE_BUILD=debug or =sanitize and runs pytest on what came of it:
#
#     tests/build_and_test.sh debug|sanitize [pytest arguments]
#
# PYTHON (python3) needs cython, setuptools and what the tests import; CC is gcc, whose runtimes
# are used. Neither what is installed nor what was built in place is touched, or tested.
set -eu
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
build=${1:-}
case $build in debug | sanitize) shift ;; *) sed -n '2,4s/^# *//p' "$0" >&2; exit 2 ;; esac
lib=$PWD/build/$build/lib

fail() { echo "$0: $*" >&2; exit 1; }

command -v gcc >/dev/null || fail "no gcc: install the package gcc"
echo "compiling into build/$build (log: build/$build/log)"
mkdir -p "$lib"
# What an earlier build left of files that were moved since would be tested too; what is compiled may stay,
# where it still has its source.
find "$lib" -type f ! -name '*.so' -delete
find "$lib" -name '*.so' | while read -r module; do
    source=ext/${module#"$lib"/}
    [ -f "${source%%.*}.pyx" ] || rm "$module"
done
find "$lib" -mindepth 1 -type d -empty -delete
# egg_info is what tells the version to whoever asks for it, as if this build were installed.
HEADGATE_BUILD=$build CC=gcc LDSHARED="gcc -shared" "$python" setup.py egg_info --egg-base "$lib" \
    build -j "$(nproc)" --build-base "build/$build" --build-lib "$lib" >"build/$build/log" 2>&1 ||
    { tail -n 30 "build/$build/log" >&2; fail "the $build build failed"; }

# The path of a runtime library; gcc answers with the bare name when it has none.
runtime() {
    path=$(gcc -print-file-name="$1")
    [ -f "$path" ] || fail "gcc has no $1: install the package libasan (part of gcc on Debian)"
    echo "$path"
}

# Through env, so that the shell and the compiler run without a preload.
set -- -m pytest "$@"
if [ "$build" = sanitize ]; then
    preload=$(runtime libasan.so):$(runtime libubsan.so)
    # CPython keeps what it allocates for life, so leaks are not looked for. Its own allocator hands out
    # parts of arenas that AddressSanitizer takes for one piece: PYTHONMALLOC=malloc gives every object
    # its own, and an over-read of a `bytes` is seen.
    on() {
        env PYTHONPATH="$lib" PYTHONMALLOC=malloc LD_PRELOAD="$preload" \
            ASAN_OPTIONS="detect_leaks=0:detect_stack_use_after_return=1:abort_on_error=1" \
            UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1:abort_on_error=1" "$python" "$@"
    }
else
    on() { env PYTHONPATH="$lib" PYTHONMALLOC=debug "$python" "$@"; }
fi

# An instrument that cannot fail says nothing: what is loaded must be this build, and its assertions live.
loaded=$(on -c 'import headgate.wire.coap as coap; print(coap.__file__)')
case $loaded in "$lib"/*) ;; *) fail "tests would run on $loaded, not on build/$build" ;; esac
status=0
(ulimit -c 0; on -c 'from headgate.wire.coap import _py_option_uint_write as w; w(1 << 16, 0)') 2>/dev/null ||
    status=$?
[ $status -eq 134 ] || fail "the assertions of $loaded are not live: SIGABRT expected, got status $status"
if [ "$build" = sanitize ]; then
    grep -q __asan_report_load "$loaded" && grep -q __ubsan_handle "$loaded" ||
        fail "$loaded was not compiled with the sanitizers"
fi
echo "testing $loaded"
on "$@"
