# attended COMMAND [WORD...]: runs a command to its end and returns its exit code, also where a job that
# is cancelled sends its signal to this shell alone. To be sourced.
attended() {
    "$@" &
    attended_child=$!
    trap 'kill -TERM "$attended_child" 2>/dev/null' INT TERM
    attended_code=0
    wait "$attended_child" || attended_code=$?
    while kill -0 "$attended_child" 2>/dev/null; do
        attended_code=0
        wait "$attended_child" || attended_code=$?
    done
    return "$attended_code"
}
