# Writes the image of the configuration $1 to standard output. --repo_tag NAME[:TAG] gives it
# another name.
conf=$1
shift
case ${1-} in
  -t | --repo_tag)
    if [ $# -lt 2 ]; then
      echo "$1 needs NAME:TAG" >&2
      exit 2
    fi
    reference=$2
    shift 2
    ;;
  --repo_tag=*)
    reference=${1#*=}
    shift
    ;;
  *) exec @seatrial@ --quiet stream "$conf" "$@" ;;
esac
case ${reference##*/} in
  *:*) set -- --tag "${reference##*:}" "$@" && reference=${reference%:*} ;;
esac
exec @seatrial@ --quiet stream "$conf" --name "$reference" "$@"
