# Sourced: waits for what a daemon needs a moment for.

retry() { # retry TIMES COMMAND...: each 0.1 s, at most TIMES times; says the last words when it gives up
  local times=$1 words=""
  shift
  for _ in $(seq "$times"); do
    words=$("$@" 2>&1) && return 0
    sleep 0.1
  done
  echo "timed out: $*: $words" >&2
  return 1
}
