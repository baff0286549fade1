<?php declare(strict_types=1);

/** The sidecar answered with an error: branch on `reason`; `detail` has all members of the error. */
final class SidecarFailure extends RuntimeException
{
    public readonly ?string $reason, $field;
    public readonly bool $retryable;
    public readonly ?object $artifacts; // what the page of a failed job showed

    public function __construct(public readonly object $detail)
    {
        parent::__construct($detail->message . (isset($detail->hint) ? "; $detail->hint" : ''));
        [$this->reason, $this->retryable] = [$detail->code, $detail->retryable];
        [$this->field, $this->artifacts] = [$detail->field ?? null, $detail->artifacts ?? null];
    }
}

/** The sidecar is gone, or is none: what was asked got no answer. */
final class SidecarEnded extends RuntimeException {}

/** Spawns the sidecar and talks to it. PHP 8.1 and later, no extensions: copy this file. Objects are answered as stdClass. */
final class Sidecar
{
    /** The first line: protocol, version, pid. */
    public readonly object $ready;
    private $process, $input, $output;
    private string $unsent = '';
    private int $lastId = 0, $sent = 0; // sent of `$unsent`
    private array $pieces = []; // of a line that is not whole yet: lines may be longer than any buffer
    private array $waiting = []; // id => length of its line
    private array $answers = []; // id => its answer
    private ?string $ended = null;
    private ?int $code = null;

    /** Waits until it is ready; its stderr is this process's. With `$onEvent` the sidecar is asked for events. */
    public function __construct(array $command = ['sidecar'], private readonly ?Closure $onEvent = null)
    {
        $this->process = @proc_open($command, [['pipe', 'r'], ['pipe', 'w']], $pipes);
        if ($this->process === false) {
            throw new SidecarEnded("$command[0] can't be started");
        }
        [$this->input, $this->output] = $pipes;
        stream_set_blocking($this->input, false);
        stream_set_blocking($this->output, false);
        $this->waiting[0] = 0;
        $ready = $this->answer(0);
        if ($ready->type !== 'ready' || !str_starts_with($ready->protocol ?? '', '2.')) {
            proc_terminate($this->process, 9);
            throw new SidecarEnded('it is no sidecar of protocol 2');
        }
        $this->ready = $ready;
        if ($onEvent !== null) {
            $this->request('hello', ['notifications' => true]);
        }
    }

    /** Sends a message and gives the content of its answer, null where it has none. Throws SidecarFailure, SidecarEnded. */
    public function request(string $type, mixed $content = null): mixed
    {
        return $this->wait($this->start($type, $content));
    }

    /** Sends a message and does not wait; gives its id, for `wait` and for the message `cancel`. An empty object is `(object) []`. */
    public function start(string $type, mixed $content = null): int
    {
        if ($this->ended !== null) {
            throw new SidecarEnded($this->ended);
        }
        $message = ['id' => ++$this->lastId, 'type' => $type] + ($content === null ? [] : ['content' => $content]);
        $line = json_encode($message, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION) . "\n";
        $this->waiting[$this->lastId] = strlen($line);
        $this->unsent .= $line;
        $this->move(0.0);
        return $this->lastId;
    }

    /** The content of the answer to a request. Throws SidecarFailure, SidecarEnded. */
    public function wait(int $id): mixed
    {
        $reply = $this->answer($id);
        return $reply->type === 'error' ? throw new SidecarFailure($reply->error) : $reply->content ?? null;
    }

    /** Reads and writes for up to so many seconds; gives the ids that have an answer. */
    public function move(float $seconds): array
    {
        $readable = $this->ended === null ? [$this->output] : [];
        $writable = $this->unsent === '' ? [] : [$this->input]; // it reads while it writes: the sidecar does not wait either
        $none = null;
        if (($readable || $writable) && @stream_select($readable, $writable, $none, (int) $seconds, (int) (fmod($seconds, 1) * 1e6))) {
            if ($writable) {
                $written = @fwrite($this->input, substr($this->unsent, $this->sent, 65536));
                $this->sent += $written === false ? strlen($this->unsent) : $written; // it reads no more: its end says why
                $this->sent < strlen($this->unsent) || [$this->unsent, $this->sent] = ['', 0];
            }
            if ($readable) {
                $data = fread($this->output, 65536);
                $data === '' || $data === false ? feof($this->output) && $this->end() : $this->take($data);
            }
        }
        return array_keys($this->answers);
    }

    /** Tells the sidecar to finish, reads what it still answers, and gives its exit code; kills it after a while. */
    public function close(float $seconds = 40.0): int
    {
        for ($deadline = microtime(true) + $seconds; $this->ended === null && microtime(true) < $deadline; $this->move(0.2)) {
            $this->unsent === '' && is_resource($this->input) && fclose($this->input);
        }
        $this->ended ?? proc_terminate($this->process, 9) && $this->end();
        return $this->code;
    }

    private function answer(int $id): object
    {
        while (!isset($this->answers[$id])) {
            $this->ended === null ? $this->move(1.0) : throw new SidecarEnded($this->ended);
        }
        $reply = $this->answers[$id];
        unset($this->answers[$id]);
        return $reply;
    }

    private function take(string $data): void
    {
        $lines = explode("\n", $data);
        for ($last = array_pop($lines); $lines; $this->pieces = []) {
            $reply = json_decode(implode('', $this->pieces) . array_shift($lines), false, 1100, JSON_BIGINT_AS_STRING);
            if (!is_object($reply) || !isset($reply->type)) {
                proc_terminate($this->process, 9);
                return;
            } elseif ($reply->type === 'event') {
                ($this->onEvent)($reply);
                continue;
            }
            $id = $reply->id ?? array_search(max($this->waiting ?: [0]), $this->waiting); // over the limit: it is the longest
            unset($this->waiting[$id]);
            $this->answers[$id] = $reply;
        }
        $this->pieces[] = $last;
    }

    private function end(): void
    {
        is_resource($this->input) && fclose($this->input);
        $this->unsent = '';
        $this->code = proc_close($this->process);
        $this->ended = "the sidecar has ended ($this->code)";
    }
}
