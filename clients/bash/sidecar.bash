# Spawns the sidecar and talks to it, from bash 4.1 and later, with nothing else: copy this file and source it.
#
#     source sidecar.bash
#     sidecar_start sidecar                            # or any command; fails with a message on stderr
#     sidecar_ask has_cached_reference '"abc"'         # type and content, a JSON text; the content may be left out
#     echo "$SIDECAR_CONTENT"                          # the answer's content as JSON, empty where it has none
#     sidecar_ask send_job "$job" || echo "$SIDECAR_CODE: $SIDECAR_ERROR" >&2   # the sentence, and what to do
#     sidecar_close                                    # its exit code
#
# One request at a time: SIDECAR_REPLY is the whole line of its answer. A function named sidecar_event gets the line of each event
# that comes while an answer is waited for, after `sidecar_ask hello '{"notifications":true}'`. bash reads pipes byte by byte:
# for answers of megabytes take `"artifacts":"files"`, or another language.

SIDECAR_TIMEOUT=${SIDECAR_TIMEOUT:-300} # seconds that an answer may take

# Spawns a sidecar and waits until it is ready. Its stderr is this shell's.
sidecar_start() {
  if (($# == 0)); then set -- sidecar; fi
  coproc SIDECAR { exec "$@"; }
  SIDECAR_PROCESS=$SIDECAR_PID SIDECAR_ID=0 SIDECAR_EXIT=''
  # copies, for bash closes its own when the sidecar ends, and the last lines would be lost
  exec {SIDECAR_OUT}<&"${SIDECAR[0]}" {SIDECAR_IN}>&"${SIDECAR[1]}" {SIDECAR[0]}<&- {SIDECAR[1]}>&-
  if _sidecar_read && [[ $SIDECAR_REPLY == '{"type":"ready",'*'"protocol":"2.'* ]]; then return 0; fi
  echo "not \`ready\` of protocol 2: ${SIDECAR_REPLY:-nothing}" >&2
  kill -KILL "$SIDECAR_PROCESS" 2>/dev/null
  sidecar_close
  SIDECAR_CODE=ended
  return 1
}

# Sends a message and waits for its answer: 1 for an error, whose code is in SIDECAR_CODE, also `ended` and `timeout`.
sidecar_ask() {
  local id=$((++SIDECAR_ID)) writer line
  line='{"id":'$id',"type":"'$1'"'${2:+',"content":'$2}'}'
  SIDECAR_CODE='' SIDECAR_CONTENT='' SIDECAR_REPLY='' SIDECAR_ERROR=''
  if [[ -n $SIDECAR_EXIT ]]; then
    SIDECAR_CODE=ended SIDECAR_ERROR="the sidecar has ended ($SIDECAR_EXIT)"
    return 1
  fi
  # in the background, for the sidecar may have to write before it reads on
  { printf '%s\n' "${line//$'\n'/ }" >&"$SIDECAR_IN"; } 2>/dev/null &
  writer=$!
  while _sidecar_read; do
    if [[ $SIDECAR_REPLY == '{"type":"event"'* ]]; then
      if declare -F sidecar_event >/dev/null; then sidecar_event "$SIDECAR_REPLY"; fi
    elif [[ $SIDECAR_REPLY == *'"id":'$id'}' || $SIDECAR_REPLY != *'"id":'+([0-9])'}' ]]; then
      break # a line over the limit is answered without its id; an answer to a request that was given up is skipped
    fi
  done
  wait "$writer" 2>/dev/null
  _sidecar_answer "$id"
}

# Tells the sidecar to finish, reads what it still says, and gives its exit code.
sidecar_close() {
  if [[ -z $SIDECAR_EXIT ]]; then
    exec {SIDECAR_IN}>&-
    while _sidecar_read; do :; done
    exec {SIDECAR_OUT}<&-
    wait "$SIDECAR_PROCESS" 2>/dev/null
    SIDECAR_EXIT=$?
  fi
  return "$SIDECAR_EXIT"
}

# Text as a JSON string.
sidecar_string() {
  local text=$1 code character
  text=${text//\\/\\\\} text=${text//\"/\\\"}
  for code in {1..31}; do
    printf -v character "\\x$(printf %x "$code")"
    text=${text//"$character"/\\u$(printf %04x "$code")}
  done
  printf '"%s"' "$text"
}

_sidecar_read() {
  IFS= read -r -t "$SIDECAR_TIMEOUT" SIDECAR_REPLY <&"$SIDECAR_OUT"
  _SIDECAR_STATUS=$?
  if ((_SIDECAR_STATUS)); then SIDECAR_REPLY=''; fi
  return "$_SIDECAR_STATUS"
}

_sidecar_answer() {
  local id=',"id":'$1'}'
  case $SIDECAR_REPLY in
    '{"type":"error",'*'"error":{"code":"'*)
      SIDECAR_CODE=${SIDECAR_REPLY##*'"error":{"code":"'}
      SIDECAR_CODE=${SIDECAR_CODE%%'"'*}
      _sidecar_error "${SIDECAR_REPLY//\\\"/$'\x01'}"
      return 1
      ;;
    '{"type":"ok","content":'*)
      SIDECAR_CONTENT=${SIDECAR_REPLY#'{"type":"ok","content":'}
      SIDECAR_CONTENT=${SIDECAR_CONTENT%"$id"}
      ;;
    '')
      SIDECAR_CODE=ended SIDECAR_ERROR="the sidecar has ended"
      if ((_SIDECAR_STATUS > 128)); then SIDECAR_CODE=timeout SIDECAR_ERROR="no answer in $SIDECAR_TIMEOUT s"; fi
      return 1
      ;;
  esac
}

# The sentence of an error, then its hint; quotes within texts are \x01 here.
_sidecar_error() {
  local text=${1#'{"type":"error","content":"'} hint=${1#*'"hint":"'}
  if [[ $hint == "$1" ]]; then hint=''; fi
  text=${text%%'"'*}${hint:+; ${hint%%'"'*}}
  SIDECAR_ERROR=${text//$'\x01'/\"}
}
