# frozen_string_literal: true

# The small scraper: sends what was not sent before. Its arguments are the sidecar's command: ruby scraper.rb sidecar

require_relative "sidecar"

begin
  Sidecar.open(*ARGV) do |sidecar|
    sidecar.request("set_mock", { secrets: { user: { username: "demo", password: "demo" } } }) # or set_credentials
    user = sidecar.request("get_user_secret", { encryption_key: "any, in mock mode" })
    puts "scraping as #{user["username"]}"
    %w[cv-1 cv-2 cv-1].each do |reference|
      if sidecar.request("has_cached_reference", reference)
        puts "#{reference}: was sent before"
        next
      end
      matched = sidecar.request("send_cv", { referenceNumber: reference, title: "Something scraped" })
      sidecar.request("set_cached_reference", reference)
      puts "#{reference}: sent, #{matched ? "matched" : "no match"}"
    end
  end
rescue Sidecar::Failure, Sidecar::Ended => e
  abort "failed: #{e.message}"
end
