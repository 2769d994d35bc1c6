// A TCP proxy whose data goes through C: read, two copies and write are libc's, the Go side looks at what passes and moves
// every fourth message through its own memory. Arguments: port, backend's port.
package main

/*
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
*/
import "C"

import (
	"net"
	"os"
	"runtime"
	"syscall"
	"unsafe"
)

const size = 256 << 10

func file(connection net.Conn) *os.File {
	f, err := connection.(*net.TCPConn).File()
	if err != nil {
		panic(err)
	}
	syscall.SetNonblock(int(f.Fd()), false)
	return f
}

func pump(from, to *os.File, done chan bool) {
	in, middle, out := C.malloc(size), C.malloc(size), C.malloc(size)
	sum := byte(0)
	for message := 0; ; message++ {
		n := int(C.read(C.int(from.Fd()), in, size))
		if n <= 0 {
			break
		}
		C.memcpy(middle, in, C.size_t(n))
		if message%4 == 0 {
			moved := C.GoBytes(middle, C.int(n))
			sum ^= moved[n/2]
			copy(unsafe.Slice((*byte)(middle), n), moved)
			runtime.GC()
		}
		C.memcpy(out, middle, C.size_t(n))
		failed := false
		for at := 0; at < n && !failed; {
			written := int(C.write(C.int(to.Fd()), unsafe.Add(out, at), C.size_t(n-at)))
			failed = written <= 0
			at += written
		}
		if failed {
			break
		}
	}
	syscall.Shutdown(int(to.Fd()), syscall.SHUT_WR)
	syscall.Shutdown(int(from.Fd()), syscall.SHUT_RD)
	C.free(in)
	C.free(middle)
	C.free(out)
	done <- sum == 0
}

func serve(client net.Conn, backend string) {
	defer client.Close()
	server, err := net.Dial("tcp", "127.0.0.1:"+backend)
	if err != nil {
		return
	}
	defer server.Close()
	a, b := file(client), file(server)
	defer a.Close()
	defer b.Close()
	done := make(chan bool, 2)
	go pump(a, b, done)
	go pump(b, a, done)
	<-done
	<-done
}

func main() {
	listening, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		panic(err)
	}
	for {
		client, err := listening.Accept()
		if err == nil {
			go serve(client, os.Args[2])
		}
	}
}
