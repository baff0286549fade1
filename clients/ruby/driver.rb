# frozen_string_literal: true

# Lets `sidecar conformance --client` use the client: see docs/writing-a-client.md.

require_relative "sidecar"

SAYING = Mutex.new

def say(line)
  SAYING.synchronize { $stdout.write("#{JSON.generate(line)}\n") && $stdout.flush }
end

begin
  sidecar = Sidecar.new(*ARGV, on_event: ->(event) { say(event.slice("event", "content")) })
rescue Sidecar::Ended
  say({ ended: true })
  exit
end
calls = {}
waiting = $stdin.each_line.map do |line|
  as, type, content, cancel = JSON.parse(line).values_at("as", "type", "content", "cancel")
  if cancel
    sidecar.start("cancel", { id: calls[cancel].id })
  else
    begin
      call = calls[as] = sidecar.start(type, content)
    rescue Sidecar::Ended
      next say({ as: as, ended: true })
    end
    Thread.new do
      say({ as: as, content: call.value })
    rescue Sidecar::Failure => e
      say({ as: as, error: e.detail })
    rescue Sidecar::Ended
      say({ as: as, ended: true })
    end
  end
end
code = sidecar.close
waiting.each { |one| one.join if one.is_a?(Thread) }
say({ closed: code })
