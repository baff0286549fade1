# As scraper.ts, in bash; the token also works in a header.
call() { curl -sS --data-binary "$2" "$SCRAPER_ADDRESS$1" && echo; }
curl -sS -H "Authorization: Bearer $SCRAPER_TOKEN" "${SCRAPER_ADDRESS%/*}/users" && echo
call /send_cv '{"referenceNumber":"a"}'
call /send_cv '{"referenceNumber":"a"}'
call /set_short_cached_reference b
call /get_cached_reference b
call /set_cached_reference ""
exit 7
