#!/bin/sh
# Fuzzes the compiled rooms with libFuzzer, under AddressSanitizer and UndefinedBehaviorSanitizer:
#
#     tests/fuzz/run.sh                        every target, FUZZ_SECONDS (60) in all; fails on a finding
#     tests/fuzz/run.sh TARGET [argument ...]  one target with libFuzzer's own arguments, such as a finding
#     tests/fuzz/run.sh merge                  the kept corpus anew, with what earlier runs found, minimised
#
# PYTHON (python3) needs cython and setuptools, of the versions in pyproject.toml; CLANG is found where it
# is not given.
set -eu
cd "$(dirname "$0")/../.."

python=${PYTHON:-python3}
seconds=${FUZZ_SECONDS:-60}
work=$PWD/build/fuzz
lib=$work/lib
kept=tests/fuzz/corpus

fail() { echo "$0: $*" >&2; exit 1; }

[ "$seconds" -ge 4 ] || fail "FUZZ_SECONDS is at least 4, not $seconds"    # libFuzzer takes 0 for ever

# -- clang and its runtimes --

clang=${CLANG:-}
for name in clang clang-21 clang-20 clang-19 clang-18 clang-17 clang-16 clang-15 clang-14; do
    [ -n "$clang" ] || ! command -v "$name" >/dev/null || clang=$name
done
debian="Debian: apt install clang-14 libclang-rt-14-dev"
command -v "$clang" >/dev/null ||
    fail "no clang${CLANG:+ named $CLANG}: install clang and its runtimes ($debian)"

# The path of a runtime. It has its architecture in its name or, in newer versions, in its folder.
runtime() {
    for name in "libclang_rt.$1-$(uname -m).$2" "libclang_rt.$1.$2"; do
        path=$("$clang" -print-file-name="$name")
        [ ! -f "$path" ] || { echo "$path"; return; }
    done
    fail "$clang has no $1 runtime: install its runtimes ($debian)"
}
asan=$(runtime asan so)
fuzzer=$(runtime fuzzer_no_main a)

# -- compile --

echo "compiling into build/fuzz (log: build/fuzz/log)"
mkdir -p "$lib" "$work/corpus" "$work/findings"
{
    HEADGATE_BUILD=fuzz CC=$clang LDSHARED="$clang -shared" "$python" setup.py egg_info --egg-base "$lib" \
        build -j "$(nproc)" --build-base build/fuzz --build-lib "$lib" &&
        # libFuzzer as a library of its own. It is loaded before AddressSanitizer, which brings empty
        # functions of the same names as the coverage hooks: the first ones loaded are the ones called.
        "$clang" --driver-mode=g++ -shared -o "$work/libfuzzer.so" \
            -Wl,--whole-archive "$fuzzer" -Wl,--no-whole-archive
} >"$work/log" 2>&1 || { tail -n 30 "$work/log" >&2; fail "the fuzz build failed"; }

# -- run --

# Through env, so that the shell and the compiler run without a preload. Link order is not verified: see
# above. CPython keeps what it allocates for life, so leaks are not looked for; with PYTHONMALLOC=malloc
# each `bytes` is memory of its own, and reading past it is seen.
fuzz() {
    env PYTHONPATH="$lib:tests" PYTHONMALLOC=malloc PYTHONHASHSEED=0 LD_PRELOAD="$work/libfuzzer.so:$asan" \
        ASAN_OPTIONS="detect_leaks=0:verify_asan_link_order=0:detect_stack_use_after_return=1:quarantine_size_mb=64" \
        ASAN_SYMBOLIZER_PATH="$("$clang" -print-prog-name=llvm-symbolizer)" \
        UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1" "$python" -m fuzz "$@"
}

# libFuzzer on one target.
target() {
    name=$1
    shift
    fuzz "$name" -max_len=2304 -timeout=10 -rss_limit_mb=2048 -dict=tests/fuzz/coap.dict \
        -artifact_prefix="$work/findings/$name-" "$@"
}

# One target for so many seconds, from the kept corpus and what earlier runs added to it.
hunt() {
    echo "fuzzing: $1 for $2 s (log: build/fuzz/$1.log)"
    mkdir -p "$work/corpus/$1"
    target "$1" -max_total_time="$2" -print_final_stats=1 "$work/corpus/$1" "$kept/$1" \
        >"$work/$1.log" 2>&1 || {
        # What was found and where, then its input; or the end, where it is nothing that we know.
        sed -n '/ERROR: AddressSanitizer\|runtime error:\|Assertion\|^broken:\|^Traceback/,$p' "$work/$1.log" |
            head -n 20 | grep . >&2 || tail -n 30 "$work/$1.log" >&2
        grep -E "Test unit written|^Base64" "$work/$1.log" >&2 || :
        fail "a finding in $1: its input is in build/fuzz/findings; tests/fuzz/README.md says what becomes of it"
    }
    grep DONE "$work/$1.log"
}

# A fuzzer that cannot find anything says nothing: each of these must be found, and for its own reason.
canary() {
    printf %s "$1" >"$work/canary"
    if fuzz canary -artifact_prefix="$work/canary-" "$work/canary" >"$work/canary.log" 2>&1; then
        fail "the canary $1 was not found"
    fi
    grep -q "$2" "$work/canary.log" || { cat "$work/canary.log" >&2; fail "the canary $1 did not die of: $2"; }
}

# The kept corpus anew: as few inputs as take every way that all known ones take.
minimise() {
    rm -rf "$work/merged"
    mkdir -p "$work/corpus/$1" "$work/merged"
    target "$1" -merge=1 -use_counters=0 "$work/merged" "$kept/$1" "$work/corpus/$1" >"$work/$1.log" 2>&1 ||
        { tail -n 30 "$work/$1.log" >&2; fail "merging $1 failed"; }
    rm -rf "${kept:?}/$1"
    mv "$work/merged" "$kept/$1"
    echo "$kept/$1: $(ls "$kept/$1" | wc -l) inputs"
}

ulimit -c 0
case ${1:-} in
"")
    canary @END "AddressSanitizer: heap-buffer-overflow"
    canary UNDEFINED "runtime error: shift exponent 40"
    canary ENSURE "Assertion .* failed"
    canary MUST "broken: an invariant"
    PYTHONPATH=tests "$python" -m fuzz.seeds "$work/corpus"
    # Half for what anybody may send, the rest for what only we do.
    hunt datagram $((seconds / 2))
    hunt ring $((seconds / 4))
    hunt catalog $((seconds / 4))
    ;;
merge)
    minimise datagram
    minimise ring
    minimise catalog
    ;;
*) target "$@" ;;
esac
