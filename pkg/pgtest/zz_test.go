package pgtest
import ("testing";"time";"context";"fmt";"github.com/jackc/pgx/v5")
func TestZZ(t *testing.T){
 s,_:=shared.url(); ctx:=context.Background()
 Clone(t,"zz",buildTable)
 o,_:=pgx.Connect(ctx,s)
 done:=make(chan bool)
 go func(){ for { select{case <-done: return; default:}; var x *string; o.QueryRow(ctx,"select string_agg(backend_type||':'||coalesce(wait_event,'cpu'),' ') from pg_stat_activity where pid<>pg_backend_pid() and (state='active' or backend_type='checkpointer')").Scan(&x); if x!=nil {fmt.Println(*x)}; time.Sleep(15*time.Millisecond)}}()
 for _,tpl:=range []string{"template0",templateName("zz"),"template0"} {
  c,_:=pgx.Connect(ctx,s); t1:=time.Now()
  _,err:=c.Exec(ctx,"create database zz template "+tpl+" strategy file_copy"); t2:=time.Now()
  _,err2:=c.Exec(ctx,"drop database zz with (force)"); t4:=time.Now()
  c.Close(ctx)
  fmt.Println(tpl,err,err2,"create",t2.Sub(t1),"drop",t4.Sub(t2))
 }
 close(done)
}
