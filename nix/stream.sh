# Writes the image to standard output. --repo_tag NAME:TAG gives it another name.
case ${1-} in
  -t | --repo_tag)
    reference=${2-}
    shift 2
    ;;
  --repo_tag=*)
    reference=${1#*=}
    shift
    ;;
  *) exec @seatrial@ --quiet stream @conf@ "$@" ;;
esac
exec @seatrial@ --quiet stream @conf@ --name "${reference%:*}" --tag "${reference##*:}" "$@"
