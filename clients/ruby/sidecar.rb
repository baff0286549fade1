# frozen_string_literal: true

# Spawns the sidecar and talks to it. Ruby 2.7 and later, standard library only: copy this file.

require "json"

# A running sidecar. Threads may share it; their requests run side by side.
class Sidecar
  # The sidecar answered with an error: branch on `code`; `detail` has all members of the error.
  class Failure < StandardError
    attr_reader :code, :retryable, :field, :artifacts, :detail # artifacts: what the page of a failed job showed

    def initialize(detail)
      super(detail.values_at("message", "hint").compact.join("; "))
      @code, @retryable, @field, @artifacts = detail.values_at("code", "retryable", "field", "artifacts")
      @detail = detail
    end
  end

  # The sidecar is gone, or is none: what was asked got no answer.
  class Ended < StandardError; end

  # A request that was sent; `value` waits for its answer.
  class Call
    attr_reader :id, :length

    def initialize(id, length)
      @id = id
      @length = length
      @outcome = Queue.new
    end

    # The content of the answer, nil where it has none. Raises Failure, Ended.
    def value
      @outcome << (outcome = @outcome.pop) # for the next one that asks
      outcome.is_a?(Exception) ? raise(outcome) : outcome
    end

    def settle(outcome)
      @outcome << outcome
    end
  end

  # The first line: protocol, version, pid.
  attr_reader :ready

  # Gives a new sidecar to the block, and closes it afterwards.
  def self.open(*command, **options)
    sidecar = new(*command, **options)
    yield sidecar
  ensure
    sidecar&.close
  end

  # Spawns `command`, and waits until it is ready. Its stderr is this process's. With `on_event`, which is called by the
  # reading thread and must not wait for requests, the sidecar is asked for events. Raises Ended.
  def initialize(*command, on_event: nil)
    @on_event = on_event
    @lock = Mutex.new # guards the three below
    @waiting = {}
    @last = 0
    @ended = nil
    @writing = Mutex.new
    child_in, @input = IO.pipe
    @output, child_out = IO.pipe
    @pid = Process.spawn(*(command.empty? ? ["sidecar"] : command), in: child_in, out: child_out)
    [child_in, child_out].each(&:close)
    started = @waiting[nil] = Call.new(nil, -1)
    @reader = Thread.new { listen }
    @ready = started.value
    request("hello", { notifications: true }) if on_event
  rescue SystemCallError => e
    raise Ended, e.message
  end

  # Sends a message and does not wait; gives a Call.
  def start(type, content = nil)
    call = line = nil
    @lock.synchronize do
      raise Ended, @ended if @ended

      message = { id: @last += 1, type: type }
      message[:content] = content unless content.nil?
      line = "#{JSON.generate(message)}\n"
      call = @waiting[@last] = Call.new(@last, line.bytesize)
    end
    @writing.synchronize { @input.write(line) } # not the lock that reading needs
    call
  rescue SystemCallError, IOError # it no longer reads: the end of its output says so
    call
  end

  # Sends a message and gives the content of its answer. Raises Failure, Ended.
  def request(type, content = nil)
    start(type, content).value
  end

  # Stops a request, which then fails with the code `cancelled`; whether that was in time.
  def cancel(call)
    request("cancel", { id: call.id })
  end

  # Tells the sidecar to finish, reads what it still answers, and gives its exit code; kills it after `seconds`.
  def close(seconds = 40)
    @input.close unless @input.closed?
    kill unless @reader.join(seconds)
    @reader[:code]
  end

  # Ends it at once; what it has accepted waits for the next one.
  def kill
    Process.kill(:KILL, @pid)
  rescue Errno::ESRCH
    nil
  end

  private

  def listen
    why = nil
    @output.each_line { |line| take(JSON.parse(line)) } # lines of any length
  rescue StandardError => e
    why = "the sidecar wrote a line that can't be used: #{e.message}"
    kill
  ensure
    status = Process.wait2(@pid)[1]
    fail_all(why || "the sidecar has ended (#{status.exitstatus || "signal #{status.termsig}"})")
    Thread.current[:code] = status.exitstatus
  end

  def take(reply)
    raise "not `ready` of protocol 2" if @waiting.key?(nil) && !(reply["type"] == "ready" && reply["protocol"].to_s.start_with?("2."))
    return @on_event&.call(reply) if reply["type"] == "event"

    call = @lock.synchronize do
      # but for `ready`, only a line over the sidecar's limit, the longest, is answered without its id
      id = reply.fetch("id") { @waiting.max_by { |_, one| one.length }&.first }
      @waiting.delete(id)
    end
    call&.settle(case reply["type"] when "error" then Failure.new(reply["error"]) when "ready" then reply else reply["content"] end)
  end

  def fail_all(why)
    @lock.synchronize { @ended = why }
    @waiting.each_value { |call| call.settle(Ended.new(why)) }
  end
end
